# The steps that must hold on main, as `.ci/run` has them, and what is only run by hand.

# Format and lints
check:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings

# Every test
test:
    cargo test --locked

# The documentation, without a broken link
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Whether the quick tests notice a change: `just mutants --file src/route.rs`
mutants *ARGS:
    cargo mutants {{ARGS}}
