//! `dht demo`: a ring of processes that loses a node and nothing else.
//!
//! `tree` chooses the files, `child` and `cluster` run the processes, `phases` stores and reads back, `observe` waits
//! for the ring to be whole and proves it, `report` shows what came of it. Whatever happens, no process is left behind.

mod chance;
mod child;
mod cluster;
mod observe;
mod phases;
mod progress;
mod report;
mod tree;

use std::cell::Cell;
use std::time::Duration;

use dht_core::{Config, Consistency, Env, Error, ErrorKind, Result};
use futures_util::future;

use crate::Program;
use crate::args::DemoArgs;
use crate::client::no_runtime;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::units::{show_bytes, show_count};
use chance::{Chance, nothing};
use cluster::{Cluster, Member};
use phases::{Phase, Stored, Through};
use progress::Progress;
use report::Report;
use tree::{Limits, Tree};

/// Deadline of each put and get: longer than a death needs to be noticed, so that a call that is under way at the kill
/// has no excuse.
const CALL_MAX: Duration = Duration::from_secs(10);
/// The ring must be whole again after this time, and after as long as copying needs at [`COPY_RATE_MIN`].
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Bytes of files per second that even a busy machine copies.
const COPY_RATE_MIN: u64 = 4 << 20;

/// `dht demo`.
pub(crate) fn run(args: DemoArgs, program: &Program, as_json: bool) -> Result<(), Failure> {
    let (root, leave_out) = match &args.files {
        Some(root) => (root.clone(), &[][..]),
        None => tree::python_library()?,
    };
    let tree = Tree::walk(&root, leave_out, Limits::new(args.max_files, args.max_bytes))?;
    if tree.files.is_empty() {
        let text =
            format!("{} has no file to store; skipped {}", root.display(), report::describe_skipped(&tree.skipped));
        return Err(Error::new(ErrorKind::InvalidArgument, text).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(Config::default().worker_count())
        .enable_all()
        .build()
        .map_err(no_runtime)?;
    let result = runtime.block_on(Box::pin(supervise(&args, tree, program, as_json)));
    runtime.shutdown_background();
    result
}

/// Runs the demo until it is done or a signal comes, and ends all processes in either case.
async fn supervise(args: &DemoArgs, tree: Tree, program: &Program, as_json: bool) -> Result<(), Failure> {
    // Before the first process: from here on Ctrl-C ends the demo, and the demo its processes.
    let mut signals = Signals::new()?;
    let env = Env::system();
    let progress = Progress::new();
    let name = format!("demo-{:016x}", env.random_u64());
    let mut cluster = Cluster::new(program, &progress, name, args.replication);
    let script = Script { args, env: &env, progress: &progress, chance: Chance::new(args.seed, &env) };
    let outcome = tokio::select! {
        biased;
        signal = signals.next() => Err(Failure::Interrupted(signal)),
        report = Box::pin(script.play(tree, &mut cluster)) => report.map_err(Failure::Error),
    };
    progress.end();
    for line in cluster.unexpected_ends() {
        progress.say(line);
    }
    let ended = cluster.shut_down().await;
    let report = outcome?;
    report.print(as_json)?;
    ended?;
    if report.is_right() { Ok(()) } else { Err(Failure::DataWrong) }
}

/// The course of the demo and what it needs all along.
struct Script<'a> {
    args: &'a DemoArgs,
    env: &'a Env,
    progress: &'a Progress,
    chance: Chance,
}

impl Script<'_> {
    async fn play(mut self, mut tree: Tree, cluster: &mut Cluster<'_>) -> Result<Report> {
        self.tell_tree(&tree);
        // The founder first; the others join through it at the same time.
        cluster.start(1).await?;
        cluster.start(usize::from(self.args.nodes) - 1).await?;
        self.settled(cluster.members(), 0, 0).await?;

        let storer = self.chance.one_of(cluster.members())?.clone();
        let reader = self.chance.one_of(&others(cluster.members(), &storer.node_id))?.clone();
        let (stored, store) = self.store(&mut tree, &storer).await?;
        let keys = stored.len() as u64;
        let bytes = stored.iter().map(|item| item.len).sum();
        let mut reads = vec![self.read("read", &reader, None, &stored).await];

        let (victim, held) = self.victim(cluster.members()).await?;
        self.progress.say(format_args!("killing {victim}, which holds {} records", show_count(held)));
        let killed_at = self.env.now();
        cluster.kill(&victim)?;
        let living = cluster.members();
        let reader = living.iter().find(|member| member.node_id == reader.node_id);
        let reader = reader.map_or_else(|| self.chance.one_of(living), Ok)?.clone();
        let healed = async {
            let settled = self.settled(living, keys, bytes).await;
            settled.map(|_| self.env.now() - killed_at)
        };
        let (pass, healed) = self.read_until(&reader, &stored, healed).await;
        reads.push(pass);
        let heal = healed?;
        self.progress.say(format_args!("healed after {:.1} s", heal.as_secs_f64()));
        let reader = self.chance.one_of(living)?.clone();
        reads.push(self.read("read at level all", &reader, Some(Consistency::All), &stored).await);

        let started = self.env.now();
        cluster.start(1).await?;
        let items = self.settled(cluster.members(), keys, bytes).await?;
        let hand_over = self.env.now() - started;
        self.progress.say(format_args!("the replacement has its share after {:.1} s", hand_over.as_secs_f64()));
        // Through the newcomer, which has everything it answers with from the others.
        let newcomer = cluster.members().last().ok_or_else(nothing)?.clone();
        reads.push(self.read("read after hand-over", &newcomer, None, &stored).await);

        Ok(Report {
            tree: tree.root.display().to_string(),
            seed: self.chance.seed,
            nodes: self.args.nodes,
            replication: self.args.replication,
            skipped: tree.skipped,
            stopped_at: tree.stopped_at,
            killed: (victim, held),
            heal,
            hand_over,
            items,
            store: (store, storer.node_id),
            reads,
        })
    }

    fn tell_tree(&self, tree: &Tree) {
        let bytes = tree.files.iter().map(|file| file.len).sum();
        let stopped = tree.stopped_at.map_or_else(String::new, |limit| format!(", stopped at {limit}"));
        self.progress.say(format_args!(
            "{} files, {} of {}{stopped}; skipped {}; seed {}",
            show_count(tree.files.len() as u64),
            show_bytes(bytes),
            tree.root.display(),
            report::describe_skipped(&tree.skipped),
            self.chance.seed
        ));
    }

    /// Waits until the ring of `members` is whole with `keys` keys in it.
    async fn settled(&self, members: &[Member], keys: u64, bytes: u64) -> Result<observe::Items> {
        let copies = keys * u64::from(self.args.replication).min(members.len() as u64);
        let patience = SETTLE_MAX + Duration::from_secs(bytes / COPY_RATE_MIN);
        observe::settled(members, copies, patience, self.env).await
    }

    async fn store(&self, tree: &mut Tree, through: &Member) -> Result<(Vec<Stored>, Phase)> {
        let value_size = Config::default().max_value_size;
        let Tree { files, skipped, .. } = tree;
        let done =
            phases::store(&self.through(through, None), files, value_size, skipped, self.env, self.progress).await?;
        self.tell_phase(&done.1, through);
        if done.0.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "none of the files could be read"));
        }
        Ok(done)
    }

    async fn read(
        &self,
        name: &'static str,
        through: &Member,
        level: Option<Consistency>,
        stored: &[Stored],
    ) -> (Phase, String) {
        let phase = phases::verify(name, &self.through(through, level), stored, self.env, self.progress).await;
        self.tell_phase(&phase, through);
        (phase, through.node_id.clone())
    }

    /// Reads everything again and again as long as `healed` is under way, and at least once.
    async fn read_until<T>(
        &self,
        through: &Member,
        stored: &[Stored],
        healed: impl Future<Output = T>,
    ) -> ((Phase, String), T) {
        let under_way = Cell::new(true);
        let healed = async {
            let healed = healed.await;
            under_way.set(false);
            healed
        };
        let reading = async {
            let (name, store) = ("read while healing", self.through(through, None));
            let mut phase = phases::verify(name, &store, stored, self.env, self.progress).await;
            while under_way.get() {
                phase = phase.and(phases::verify(name, &store, stored, self.env, self.progress).await);
            }
            self.tell_phase(&phase, through);
            (phase, through.node_id.clone())
        };
        future::join(reading, healed).await
    }

    fn through(&self, member: &Member, level: Option<Consistency>) -> Through {
        Through { remote: member.remote.clone(), level, timeout: CALL_MAX }
    }

    fn tell_phase(&self, phase: &Phase, through: &Member) {
        self.progress.end();
        self.progress.say(format_args!(
            "{} through {}: {} files in {:.1} s, {} faults",
            phase.name,
            through.node_id,
            show_count(phase.keys),
            phase.elapsed.as_secs_f64(),
            phase.faults()
        ));
        for fault in &phase.described {
            self.progress.say(fault);
        }
    }

    /// One of the nodes that hold data, and how many records it holds.
    async fn victim(&mut self, members: &[Member]) -> Result<(String, u64)> {
        let holders: Vec<_> = observe::items(members).await?.into_iter().filter(|(_, held)| *held > 0).collect();
        self.chance.one_of(&holders).cloned()
    }
}

fn others(members: &[Member], node_id: &str) -> Vec<Member> {
    members.iter().filter(|member| member.node_id != node_id).cloned().collect()
}
