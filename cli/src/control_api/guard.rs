//! Who may drive the lab: a page of another site may not, whatever the browser that shows it can reach.
//!
//! A browser on this machine reaches loopback, and so does each page that it shows. Two ways lead from such a page
//! to here, and both are closed: a request to another origin (`Origin`, `Sec-Fetch-Site`), and a name of the page's
//! own that is made to mean 127.0.0.1 (DNS rebinding), which shows in `Host`. Addresses cannot be rebound, so those
//! are let in. Programs send none of the first two headers. All responses tell browsers to load nothing from
//! elsewhere, and not to be shown inside other pages.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::problem::Problem;

/// All that the page needs comes from here, and none of it is in the page itself.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The names by which the API may be called, beside addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnNames(pub(crate) Arc<[String]>);

impl OwnNames {
    /// Why a request is not let in; `None` if it is.
    fn obstacle(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<String> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let host = text(header::HOST).unwrap_or_default();
        if headers.get_all(header::HOST).iter().count() != 1 || !self.knows(host) {
            return Some(format!(
                "found Host {host:?}, expected an address, localhost or a name that --control-name gives"
            ));
        }
        // A link on another site may lead to the page, which does nothing by itself.
        let is_page = matches!(*method, Method::GET | Method::HEAD) && !path.starts_with("/v1/");
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !is_page && !matches!(site, None | Some(b"same-origin" | b"none")) {
            return Some("found a request of a page of another site, expected one of the page at / or of a program".to_owned());
        }
        let origin = text(header::ORIGIN)?;
        let own = format!("http://{host}");
        (!origin.eq_ignore_ascii_case(&own))
            .then(|| format!("found Origin {origin:?}, expected {own:?} or none"))
    }

    /// Whether a host, perhaps with a port, may be meant for us.
    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            // An IPv6 address is in brackets (RFC 3986 section 3.2.2).
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Lets a request in, or answers that it is not; headers for browsers are on every response.
pub(crate) async fn guard(State(names): State<OwnNames>, request: Request, next: Next) -> Response {
    let obstacle = names.obstacle(request.method(), request.uri().path(), request.headers());
    let mut response = match obstacle {
        Some(why) => Problem::new(StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request with these headers is let in.
    fn enters(method: Method, path: &str, given: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let names = OwnNames(["mail-lab".to_owned()].into());
        names.obstacle(&method, path, &headers).is_none()
    }

    #[test]
    fn programs_and_the_page_itself_are_let_in() {
        for host in [
            "127.0.0.1:80",
            "localhost",
            "[::1]:8025",
            "LOCALHOST:1",
            "mail-lab:8025",
        ] {
            assert!(enters(Method::GET, "/v1/lab", &[("host", host)]), "{host}");
        }
        let page = [
            ("host", "localhost:8025"),
            ("origin", "http://localhost:8025"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(enters(Method::POST, "/v1/faults", &page));
    }

    #[test]
    fn pages_of_other_sites_are_not() {
        let own = ("host", "127.0.0.1:8025");
        for given in [
            &[][..],
            &[("host", "evil.test:8025")],
            &[("host", "127.0.0.1.evil.test")],
            &[own, ("host", "evil.test")],
            &[own, ("origin", "http://evil.test")],
            &[own, ("origin", "null")],
            &[own, ("origin", "http://127.0.0.1:3000")],
            &[own, ("sec-fetch-site", "cross-site")],
            &[own, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!enters(Method::POST, "/v1/faults", given), "{given:?}");
            assert!(!enters(Method::GET, "/v1/messages", given), "{given:?}");
        }
        // A link to the page may be followed.
        let link = [own, ("sec-fetch-site", "cross-site")];
        assert!(enters(Method::GET, "/", &link));
        assert!(!enters(Method::GET, "/v1/lab", &link));
    }
}
