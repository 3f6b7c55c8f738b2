//! The processes of the demo and the connections to those that live.

use std::collections::BTreeSet;
use std::time::Duration;

use dht_core::{Error, ErrorKind, Remote, Result};
use futures_util::future::{join_all, try_join_all};

use super::child::NodeProcess;
use super::progress::Progress;
use crate::Program;

/// A node that has announced itself answers at once.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A living node.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) node_id: String,
    pub(crate) address: String,
    pub(crate) remote: Remote,
}

/// All processes that were started, and the living among them.
pub(crate) struct Cluster<'a> {
    program: &'a Program,
    progress: &'a Progress,
    name: String,
    replication: u16,
    processes: Vec<NodeProcess>,
    members: Vec<Member>,
}

impl<'a> Cluster<'a> {
    /// No process yet. `name` must be one that no other ring of this machine has.
    pub(crate) fn new(program: &'a Program, progress: &'a Progress, name: String, replication: u16) -> Self {
        Self { program, progress, name, replication, processes: Vec::new(), members: Vec::new() }
    }

    /// Starts `count` nodes at the same time, which join through those that live now, and waits until they serve.
    pub(crate) async fn start(&mut self, count: usize) -> Result<()> {
        let seeds: Vec<&str> = self.members.iter().map(|member| member.address.as_str()).collect();
        let flags = [
            ("--cluster-name", self.name.clone()),
            ("--replication-factor", self.replication.to_string()),
            ("--address", "127.0.0.1".to_owned()),
            ("--port", "0".to_owned()),
            ("--seeds", seeds.join(",")),
        ];
        let flags: Vec<String> = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        let first = self.processes.len();
        for index in first..first + count {
            // Kept from the first moment, so that whatever happens next it is ended with the others.
            let node_id = format!("demo-{}", index + 1);
            self.processes.push(NodeProcess::spawn(self.program, &node_id, &flags)?);
        }
        let (progress, name) = (self.progress, self.name.as_str());
        let joined = try_join_all(self.processes[first..].iter_mut().map(|process| async move {
            let address = process.address().await?;
            progress.say(format_args!("node {} is process {} at {address}", process.node_id, process.pid));
            let remote = Remote::connect(&address, name, CONNECT_MAX).await?;
            Ok::<_, Error>(Member { node_id: process.node_id.clone(), address, remote })
        }))
        .await?;
        self.members.extend(joined);
        Ok(())
    }

    /// The living nodes, in the order of their start.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// SIGKILLs a living node, and forgets it.
    pub(crate) fn kill(&mut self, node_id: &str) -> Result<()> {
        let process = self.processes.iter_mut().find(|process| process.node_id == node_id);
        let process = process.ok_or_else(|| Error::new(ErrorKind::Internal, format!("no process of {node_id}")))?;
        process.start_kill()?;
        self.members.retain(|member| member.node_id != node_id);
        Ok(())
    }

    /// What the processes that should live and do not have to say; one line each.
    pub(crate) fn unexpected_ends(&mut self) -> Vec<String> {
        let living: BTreeSet<&str> = self.members.iter().map(|member| member.node_id.as_str()).collect();
        let ended = self.processes.iter_mut().filter(|process| living.contains(process.node_id.as_str()));
        ended
            .filter_map(|process| {
                let status = process.exited().ok()??;
                Some(format!("node {} has ended with {status}{}", process.node_id, process.complaints()))
            })
            .collect()
    }

    /// Ends every process and waits until all are gone; the first error, if one could not be ended.
    pub(crate) async fn shut_down(&mut self) -> Result<()> {
        self.members.clear();
        let ended = join_all(self.processes.iter_mut().map(NodeProcess::kill)).await;
        self.processes.clear();
        ended.into_iter().collect()
    }
}
