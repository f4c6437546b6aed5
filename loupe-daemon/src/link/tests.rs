use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use super::*;

fn pair() -> ((LinkReader, LinkWriter), (LinkReader, LinkWriter)) {
    let (a, b) = UnixStream::pair().expect("a socket pair");
    (split(a), split(b))
}

#[tokio::test]
async fn lines_come_out_as_they_went_in_however_they_are_cut() {
    let ((mut reader, _), (_, writer)) = pair();
    for piece in ["one\ntw", "o\n", "\nfour", "\n"] {
        writer.send(piece.as_bytes()).await.expect("sent");
    }
    drop(writer);
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().await.expect("good lines") {
        lines.push(String::from_utf8(line).expect("UTF-8"));
    }
    assert_eq!(lines, ["one", "two", "", "four"]);
}

#[tokio::test]
async fn half_a_line_is_told_from_a_clean_end() {
    let ((mut reader, _), (other_reader, writer)) = pair();
    writer.send(b"{\"loupe\":").await.expect("sent");
    drop((other_reader, writer));
    assert!(matches!(reader.next_line().await, Err(LinkError::HalfLine)));
}

#[tokio::test]
async fn a_line_of_the_limit_passes_and_one_byte_more_does_not() {
    for (length, passes) in [(MAX_LINE, true), (MAX_LINE + 1, false)] {
        let ((mut reader, _), (_, writer)) = pair();
        let mut line = vec![b'x'; length - 1];
        line.push(b'\n');
        let sent = tokio::spawn(async move { writer.send(&line).await });
        let read = reader.next_line().await;
        assert_eq!(read.is_ok(), passes, "{length}");
        drop(reader);
        // The one that was refused may end with a broken pipe.
        assert!(sent.await.expect("no panic").is_ok() || !passes);
    }
}

#[tokio::test]
async fn an_endless_line_is_refused_at_the_limit() {
    let ((mut reader, _), (_, writer)) = pair();
    let endless = tokio::spawn(async move { while writer.send(&[b'x'; 4096]).await.is_ok() {} });
    assert!(matches!(reader.next_line().await, Err(LinkError::TooLong)));
    assert!(reader.buffer.len() <= MAX_LINE + READ_BYTES);
    drop(reader);
    endless.await.expect("it ends with the connection");
}

#[tokio::test]
async fn descriptors_come_with_their_line() {
    let ((mut reader, _keep), (_, writer)) = pair();
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"hello").expect("written");
    writer
        .send_with(b"take this\n", &[file.as_fd()])
        .await
        .expect("sent");
    assert_eq!(
        reader.next_line().await.expect("a line").as_deref(),
        Some(&b"take this"[..])
    );
    let received = reader.take_descriptors().pop().expect("one came");
    let mut copy = File::from(received);
    let mut text = String::new();
    copy.rewind().expect("the same file");
    copy.read_to_string(&mut text).expect("readable");
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn too_many_descriptors_are_refused_and_closed() {
    let ((mut reader, _keep), (_, writer)) = pair();
    let file = tempfile::tempfile().expect("a file");
    // Descriptors of other tests in this process come and go: look at ours only.
    let before = count_of(&file);
    let many = vec![file.as_fd(); 200];
    writer.send_with(b"x", &many).await.expect("sent");
    assert!(matches!(
        reader.next_line().await,
        Err(LinkError::Descriptors)
    ));
    assert_eq!(count_of(&file), before);
}

/// How many descriptors of this process are this file.
fn count_of(file: &File) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let own = file.metadata().expect("metadata");
    std::fs::read_dir("/proc/self/fd")
        .expect("readable")
        .filter_map(|entry| std::fs::metadata(entry.ok()?.path()).ok())
        .filter(|other| (other.dev(), other.ino()) == (own.dev(), own.ino()))
        .count()
}

#[tokio::test]
async fn a_peer_with_nothing_more_to_say_is_not_gone() {
    let (a, b) = UnixStream::pair().expect("a socket pair");
    let (mut reader, writer) = split(a);
    let b = b.into_std().expect("plain");
    b.shutdown(std::net::Shutdown::Write).expect("half closed");
    assert!(matches!(reader.next_line().await, Ok(None)));
    assert!(!reader.peer_is_gone());
    writer.send(b"still there\n").await.expect("it can read");
    drop(b);
    assert!(reader.peer_is_gone());
}

#[tokio::test]
async fn the_kernel_says_who_is_there() {
    let (a, _b) = UnixStream::pair().expect("a socket pair");
    let identity = peer_identity(&a).expect("known");
    assert_eq!(identity.uid, nix::unistd::geteuid().as_raw());
    assert_eq!(identity.gid, nix::unistd::getegid().as_raw());
    let mut own: Vec<u32> = nix::unistd::getgroups()
        .expect("known")
        .iter()
        .map(|group| group.as_raw())
        .collect();
    let mut groups = identity.groups;
    own.sort_unstable();
    groups.sort_unstable();
    assert_eq!(groups, own);
}
