//! The catalog site.

use std::fs;

use neurolake_query::Stores;
use neurolake_serve::Settings;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Server;

async fn serve() -> (TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir_all(site.join("neural")).unwrap();
    fs::create_dir_all(site.join("assets")).unwrap();
    fs::write(folder.path().join("secret.txt"), "canary").unwrap();
    for (path, text) in [
        ("index.html", "<h1>home</h1>"),
        ("404.html", "<h1>not here</h1>"),
        ("neural/index.html", "<h1>neural</h1>"),
        ("assets/site.css", "body {}"),
        ("assets/site.js", "1"),
        ("catalog.json", "stale"),
    ] {
        fs::write(site.join(path), text).unwrap();
    }
    let settings = Settings {
        site: Some(site),
        ..Settings::default()
    };
    (folder, Server::with(settings, Stores::default()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_their_types_and_tags() {
    let (_folder, server) = serve().await;
    for (path, status, content_type, text) in [
        ("/", 200, "text/html", "<h1>home</h1>"),
        ("/neural/", 200, "text/html", "<h1>neural</h1>"),
        ("/assets/site.css", 200, "text/css", "body {}"),
        ("/assets/site.js", 200, "text/javascript", "1"),
        ("/nowhere.html", 404, "text/html", "<h1>not here</h1>"),
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        let found = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(found.starts_with(content_type), "{path}: {found}");
        assert_eq!(response.headers()["cache-control"], "no-cache", "{path}");
        assert_eq!(response.text().await.unwrap(), text, "{path}");
    }
    let tag = server.get("/").await.headers()["etag"].clone();
    let again = server
        .http
        .get(server.url("/"))
        .header("if-none-match", tag);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(again.text().await.unwrap(), "");
    let live = server.get("/catalog.json").await.text().await.unwrap();
    assert_ne!(live, "stale", "the catalog with the real endpoints wins");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_of_the_folder_is_served() {
    let (_folder, server) = serve().await;
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/neural/../../secret.txt",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(!answer.contains("canary"), "{path}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}
