//! Events for whoever subscribed to `tracing`, if `enable_logging` is set.

/// `log!(node, level, fields…, "message")`: an event that names the node.
macro_rules! log {
    ($node:expr, $level:ident, $($event:tt)+) => {
        if $node.config.enable_logging {
            tracing::$level!(node = %$node.node_id, $($event)+);
        }
    };
}
