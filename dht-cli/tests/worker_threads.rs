//! `worker_threads`, the one key of the configuration that only programs use.

mod common;

use common::Served;

#[tokio::test]
async fn worker_threads_is_the_number_of_threads() {
    if !std::path::Path::new("/proc/self/task").exists() {
        println!("skipped: this machine does not show the threads of a process in /proc");
        return;
    }
    let default = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    for (configured, expected) in [(Some("1"), 1), (Some("3"), 3), (Some("0"), default), (None, default)] {
        let args = configured.map(|threads| ["--worker-threads", threads]);
        let served = Served::with(|command| command.args(args.iter().flatten())).await;
        let names = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", served.pid())).expect("it runs");
            let name =
                |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
            tasks.filter_map(name).collect::<Vec<_>>()
        };
        // A new thread has the name of the program until it gives itself its own.
        let named = || std::future::ready(names().iter().filter(|name| name.trim() == "dht").count() == 1);
        common::until("all threads have their names", named).await;
        let names = names();
        let workers = names.iter().filter(|name| name.starts_with("tokio-rt-worker")).count();
        assert_eq!(workers, expected, "{configured:?}: {names:?}");
    }
}
