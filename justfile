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

# Where mail may go, and what is said of a sender
decisions := "--file src/route.rs --file 'src/route/**' --file src/verdict.rs --file 'src/verdict/**' --file src/scenario.rs --file 'src/scenario/**'"

# Whether the quick tests notice a change: all that decides, or `just mutants --file src/route.rs`
mutants *ARGS=decisions:
    cargo mutants {{ARGS}}

# The small senders in private networks, judged and recorded anew (Linux, Python 3.11)
senders:
    cargo build --locked --release
    python3 tests/senders/run.py target/release/mxdrill --record
