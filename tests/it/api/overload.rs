//! What a host that is asked for too much still answers.

use tokio::net::TcpStream;

use crate::harness::Setup;

#[tokio::test]
async fn probes_and_deletions_get_through_when_others_hold_every_connection() {
    let setup = Setup::sqlite().config("[http]\nmax_connections = 4\n");
    let app = setup.start().await;
    let address = app.host.url.trim_start_matches("http://").to_owned();
    // Clients that connect and say nothing.
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(&address).await.expect("a connection"));
    }
    for _ in 0..5 {
        assert_eq!(app.get("/livez").await.status, 200);
        assert_eq!(app.delete("/api/v1/jobs/none-00000000").await.status, 404);
    }
    // Nobody had to wait until the host lost patience with all of them.
    let is_open = |client: &TcpStream| {
        let read = client.try_read(&mut [0; 1]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    assert!(silent.iter().any(is_open));
}
