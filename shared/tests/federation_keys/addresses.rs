//! K7: which hosts are called, and at which address.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use shared::{
    fetch::{Fetch, FetchConfig, FetchError, Resolver},
    testing::{TestProvider, provider::Behaviour},
};

use crate::fetch::fetch;

/// What names resolve to: each answer once, the last one for good.
#[derive(Clone, Default)]
pub(crate) struct Names {
    answers: Arc<Mutex<Vec<Vec<SocketAddr>>>>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn new<const N: usize>(answers: [&[&str]; N]) -> Self {
        let parse = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        Self { answers: Arc::new(Mutex::new(answers.into_iter().map(parse).collect())), ..Self::default() }
    }
}

impl Resolver for Names {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> shared::secrets::BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async { Ok(answer) })
    }
}

fn strict() -> Fetch {
    Fetch::new(FetchConfig::default())
}

#[tokio::test]
async fn k7_loopback_is_refused_in_every_spelling_and_not_touched() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "[::ffff:127.0.0.1]"] {
        let url = format!("https://{host}:{port}/");
        let error = strict().get::<Value>(&url).await.unwrap_err();
        assert!(matches!(error, FetchError::AddressRefused | FetchError::Unresolved), "{url}: {error}");
        assert_eq!(strict().check_issuer(&url).await, Err(error), "{url}");
        assert_eq!(strict().get::<Value>(&url.replace("https", "http")).await, Err(FetchError::UrlRefused));
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody has called");
}

#[tokio::test]
async fn k7_private_addresses_are_refused_even_where_loopback_is_let_through() {
    for host in ["10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "100.64.0.1", "0.0.0.0", "[::]"] {
        for url in [format!("https://{host}/"), format!("http://{host}/latest/meta-data")] {
            for fetch in [strict(), fetch()] {
                let error = fetch.get::<Value>(&url).await.unwrap_err();
                assert!(matches!(error, FetchError::AddressRefused | FetchError::UrlRefused), "{url}: {error}");
            }
        }
        assert_eq!(fetch().check_issuer(&format!("http://{host}")).await, Err(FetchError::AddressRefused), "{host}");
    }
    // http is for loopback alone.
    let public = fetch().resolving_by(Names::new([&["1.1.1.1:80"]]));
    assert_eq!(public.get::<Value>("http://idp.example").await, Err(FetchError::AddressRefused));
}

#[tokio::test]
async fn k7_one_refused_address_among_good_ones_is_enough() {
    for refused in ["10.0.0.1:443", "[fd00::1]:443", "169.254.169.254:443", "127.0.0.1:443"] {
        for answer in [["1.1.1.1:443", refused], [refused, "1.1.1.1:443"]] {
            let fetch = strict().resolving_by(Names::new([&answer[..]]));
            assert_eq!(fetch.get::<Value>("https://idp.example").await, Err(FetchError::AddressRefused), "{answer:?}");
            assert_eq!(fetch.check_issuer("https://idp.example").await, Err(FetchError::AddressRefused), "{answer:?}");
        }
    }
    let nothing = strict().resolving_by(Names::new([&[]]));
    assert_eq!(nothing.check_issuer("https://idp.example").await, Err(FetchError::Unresolved));
}

#[tokio::test]
async fn k7_a_name_that_changes_its_mind_after_the_check_gains_nothing() {
    let (checked, other) = (TestProvider::start(&[]), TestProvider::start(&[]));
    checked.behave("/", Behaviour::Json(200, json!("checked")));
    let at = |provider: &TestProvider| format!("127.0.0.1:{}", provider.port());
    let names = Names::new([&[&*at(&checked)], &[&*at(&other)]]);
    let fetch = fetch().resolving_by(names.clone());
    assert_eq!(fetch.get("http://idp.example:81").await, Ok(json!("checked")));
    assert_eq!(names.asked.load(Ordering::Relaxed), 1, "a fetch resolves once");
    assert!(other.received().is_empty());
    assert_eq!(checked.received()[0].headers["host"], "idp.example:81");
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let provider = TestProvider::start(&[]);
    provider.behave("/", Behaviour::Json(200, json!(1)));
    let names = Names::new([&["127.0.0.1:9", &*format!("127.0.0.1:{}", provider.port())]]);
    assert_eq!(fetch().resolving_by(names).get("http://idp.example").await, Ok(json!(1)));
}

#[tokio::test]
async fn k7_an_issuer_is_an_https_url_without_user_query_and_fragment() {
    let public = || strict().resolving_by(Names::new([&["1.1.1.1:443", "[2606:4700::1]:443"]]));
    for issuer in [
        "https://idp.example",
        "https://idp.example/",
        "https://idp.example:8443/tenants/7/v2.0",
        "https://[2606:4700::1]",
    ] {
        assert_eq!(public().check_issuer(issuer).await, Ok(()), "{issuer}");
    }
    for issuer in [
        "http://idp.example",
        "https://user@idp.example",
        "https://idp.example?a=b",
        "https://idp.example/?",
        "https://idp.example#a",
        " https://idp.example",
        "https://idp.example/\n",
        "idp.example",
        "",
    ] {
        assert_eq!(public().check_issuer(issuer).await, Err(FetchError::UrlRefused), "{issuer}");
    }
    assert_eq!(public().check_issuer("https://[fd00:ec2::254]").await, Err(FetchError::AddressRefused));
    assert_eq!(fetch().check_issuer("http://127.0.0.1:9000").await, Ok(()));
}
