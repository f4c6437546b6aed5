//! The five applications, each started for a moment, for comparing what two observers see of the
//! same command. Not their workloads: nobody asks them anything.

use crate::scene::Scene;

/// Each program, and what a shell is to run. A server serves nobody, and is asked to end.
pub fn short_runs(scene: &Scene) -> [(&'static str, String); 5] {
    let lighttpd = scene.write(
        "lighttpd.conf",
        "server.document-root = \"/var/empty\"\nserver.port = 17783\n",
    );
    // nginx removes its pid file at its end, so it must be the scene's own.
    let pid = scene.path("nginx.pid");
    let nginx = scene.write(
        "nginx.conf",
        &format!(
            "daemon off; pid {}; error_log stderr; events {{}}\n\
             http {{ access_log off; server {{ listen 17784; }} }}\n",
            pid.display()
        ),
    );
    let commands = [
        (
            "redis-server",
            "timeout 1 redis-server --port 17781 --save ''".to_owned(),
        ),
        (
            "memcached",
            "timeout 1 memcached -u nobody -p 17782 -U 0".to_owned(),
        ),
        (
            "lighttpd",
            format!("timeout 1 lighttpd -D -f {}", lighttpd.display()),
        ),
        ("nginx", format!("timeout 1 nginx -c {}", nginx.display())),
        (
            "sqlite3",
            "sqlite3 :memory: 'create table t(a); insert into t values(1); select * from t'"
                .to_owned(),
        ),
    ];
    commands.map(|(program, command)| (program, format!("{command} > /dev/null 2>&1; true")))
}
