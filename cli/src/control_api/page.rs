//! The page for people, at `/`: files beside this one, in the program as they are.

use axum::{Router, http::header, response::IntoResponse, routing::get};

/// Each file with its path and its media type.
const FILES: [(&str, &str, &str); 4] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/console.html"),
    ),
    (
        "/console.css",
        "text/css; charset=utf-8",
        include_str!("page/console.css"),
    ),
    (
        "/console.js",
        "text/javascript; charset=utf-8",
        include_str!("page/console.js"),
    ),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// Adds the page to what is served.
pub(crate) fn add<S: Clone + Send + Sync + 'static>(mut router: Router<S>) -> Router<S> {
    for (path, media, text) in FILES {
        let file = move || async move { ([(header::CONTENT_TYPE, media)], text).into_response() };
        router = router.route(path, get(file));
    }
    router
}
