//! Who may ask. The doors only read, but a web page somewhere must not read through a person's
//! browser what only that person's machine can reach.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::accounts::Accounts;
use crate::doors::{Doors, Settings};
use crate::identity::RequestId;
use crate::refusal::Refusal;

/// Lets a request through, or says why not.
pub(crate) async fn guard(
    State(doors): State<Doors>,
    mut request: Request,
    next: Next,
) -> Response {
    let settings = &doors.shared.settings;
    let refusal = check_host(settings, &request)
        .or_else(|| check_origin(settings, &request))
        .or_else(|| check_account(&doors.shared.accounts.load(), &mut request).err());
    match (refusal, request.extensions().get::<RequestId>()) {
        (Some(refusal), Some(id)) => refusal.respond(&id.clone()),
        _ => next.run(request).await,
    }
}

/// The catalog, its site and whether the server is well are for everybody; rows are not.
fn check_account(accounts: &Accounts, request: &mut Request) -> Result<(), Refusal> {
    let path = request.uri().path();
    let mut parts = path.split('/').skip(1);
    let place = parts.next().unwrap_or_default();
    if !matches!(place, "api" | "v1" | "metrics") {
        return Ok(());
    }
    let principal = accounts.of_headers(request.headers())?;
    if place == "v1" {
        let (what, database, table) = (parts.next(), parts.next(), parts.next());
        let named = database.unwrap_or_default();
        let name = format!("{named}.{}", table.unwrap_or_default());
        let is_allowed = match what {
            // Names are identifiers: none needs to be written otherwise in an address.
            Some("tail") => {
                principal.lake.role().is_none()
                    || principal.lake.reads_whole(named, table.unwrap_or_default())
            }
            _ if request.method() == Method::POST => principal.may_ingest(&name),
            Some("ingest") if table.is_some() => {
                principal.may_ingest(&name)
                    || principal.lake.reads_whole(named, table.unwrap_or_default())
            }
            Some("ingest") => principal.lake.role().is_none(),
            _ => true,
        };
        if !is_allowed {
            let (account, role) = (&principal.name, principal.role());
            return Err(Refusal::forbidden(format!(
                "the account `{account}` with the role `{role}` may not do this with `{name}`"
            ))
            .with_hint("ask whoever keeps the roles"));
        }
    }
    // Its counters tell of every table.
    if place == "metrics" && principal.lake.role().is_some() {
        return Err(Refusal::forbidden("the counters are for the role `all`"));
    }
    request.extensions_mut().insert(principal);
    Ok(())
}

/// The `Host` of a request, or the authority of its address in HTTP/2.
fn host(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST);
    header.and_then(|host| host.to_str().ok()).or_else(|| {
        request
            .uri()
            .authority()
            .map(axum::http::uri::Authority::as_str)
    })
}

/// DNS rebinding: a foreign name that suddenly means 127.0.0.1 makes the browser believe that this
/// server belongs to that name.
fn check_host(settings: &Settings, request: &Request) -> Option<Refusal> {
    if !is_from_here(request) {
        return None;
    }
    let host = host(request)?;
    let name = without_port(host);
    if is_this_machine(name) || is_known(settings, name) {
        return None;
    }
    Some(
        Refusal::not_allowed(format!("this server is not `{name}`")).with_hint(
            "if it is reached through a proxy, add the name to `http.hosts` in neurolake.toml",
        ),
    )
}

fn is_known(settings: &Settings, name: &str) -> bool {
    let public = settings.endpoints.http.split_once("://");
    let public = public.map(|(_, rest)| without_port(rest.split('/').next().unwrap_or(rest)));
    public == Some(name) || settings.hosts.iter().any(|host| host == name)
}

/// A page of another site asks, which a browser says in these headers.
fn check_origin(settings: &Settings, request: &Request) -> Option<Refusal> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str());
    let origin = match origin {
        None if is_cross_site(headers) && request.uri().path().starts_with("/api/") => {
            "another site"
        }
        None => return None,
        Some(Err(_)) => "another site",
        Some(Ok(origin)) if is_own(origin, host(request)) => return None,
        Some(Ok(origin)) if settings.origins.iter().any(|known| known == origin) => return None,
        Some(Ok(origin)) => origin,
    };
    Some(
        Refusal::not_allowed(format!("pages of `{origin}` may not ask here"))
            .with_hint("add the origin to `http.origins` in neurolake.toml"),
    )
}

/// An image or a script of another site; a person who follows a link is welcome.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-site", "cross-site") && !is("sec-fetch-mode", "navigate")
}

fn is_own(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == host
}

/// Whether the client is on this machine, as far as one can see.
pub(crate) fn is_local(headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // Behind a proxy every client seems to be here.
    let is_forwarded = headers.contains_key("forwarded") || headers.contains_key("x-forwarded-for");
    peer.is_some_and(|peer| is_loopback(peer.ip()))
        && !is_forwarded
        && host.is_none_or(|host| is_this_machine(without_port(host)))
}

fn is_from_here(request: &Request) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.is_some_and(|ConnectInfo(peer)| is_loopback(peer.ip()))
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn without_port(host: &str) -> &str {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

fn is_this_machine(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        // A page that was loaded from an address can't be rebound to another one.
        || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for host in [
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "lake.localhost",
            "10.0.0.7",
        ] {
            assert!(is_this_machine(without_port(host)), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(without_port(host)), "{host}");
        }
    }

    #[test]
    fn an_origin_is_its_own_only_with_the_same_port() {
        assert!(is_own("http://127.0.0.1:8080", Some("127.0.0.1:8080")));
        assert!(!is_own("http://127.0.0.1:9090", Some("127.0.0.1:8080")));
        assert!(!is_own("null", Some("127.0.0.1:8080")));
        assert!(!is_own("null", None));
    }
}
