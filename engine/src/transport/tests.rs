//! The whole stack over real sockets.
