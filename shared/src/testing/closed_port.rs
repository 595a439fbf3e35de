//! A port that refuses connections.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port of loopback that nobody listens on, and that nobody else gets while
/// this is held: one that was only let go of is soon another test's.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a free one.
    #[must_use]
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}
