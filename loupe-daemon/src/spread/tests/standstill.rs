//! That an analysis waits for workers is told, and that it goes on.

use super::*;
use crate::explore::properties::plain_app;

#[test]
fn who_waits_for_workers_is_told_so_each_time_and_once() {
    let (time, app) = (Time::default(), plain_app(3));
    let queue = Local::new(time.clone(), ACK_WAIT);
    let stop = CancellationToken::new();
    let bench = SimBench {
        takes: ACK_WAIT / 4,
        ..SimBench::new(&app, &time, 0)
    };
    let own = worker(0);
    let away = || time.sleep(ACK_WAIT * 20);
    let working = async {
        away().await;
        tokio::select! {
            worked = work(&queue, &bench, &own, (&time, ACK_WAIT), &stop) => panic!("{worked:?}"),
            () = time.sleep(ACK_WAIT) => {}
        }
        away().await;
        let worked = work(&queue, &bench, &own, (&time, ACK_WAIT), &stop).await;
        worked.expect("the queue works");
    };
    let told = Mutex::new(Vec::new());
    let asking = async {
        let jobs = queue.of(SUBJECT);
        let spread = Spread::new((SUBJECT, "asker"), jobs, Memory::default(), time.clone());
        let (asked, options) = (subject(), options(1));
        let analysis = explore::analyze(&spread, &asked, &options, &|_| ());
        tokio::select! {
            result = analysis => drop(result.expect("an analysis")),
            error = spread.serve(ACK_WAIT / 3, |text| lock(&told).push(text)) => panic!("{error}"),
        }
        stop.cancel();
    };
    time.run(async {
        futures::join!(working, asking);
    });
    let told = told.into_inner().expect("nobody panicked");
    let beginnings: Vec<&str> = told
        .iter()
        .map(|text| &text[..32.min(text.len())])
        .collect();
    assert_eq!(
        beginnings,
        [
            "replays wait: no worker is heard",
            "replays go on",
            "replays wait: no worker is heard",
            "replays go on",
        ],
        "{told:#?}"
    );
    // The second one is of one kind of host only.
    assert!(told[2].contains("Linux 6.1 x86_64"), "{told:#?}");
}
