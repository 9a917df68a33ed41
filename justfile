# The steps that must hold on main, as `.ci/run` has them, and what is only run by hand.

# After a change, in seconds: format, lints, and the quick tests (expectations, rules, routes, the format of scenarios; what
# may import what; pages that are made from code)
check:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo test --locked --test it --test circles --test floors --test pages

# Every test
test:
    cargo test --locked

# The pages that are made from code and scenarios, written anew, and the documentation without a broken link
docs:
    UPDATE=1 cargo test --locked --test pages
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# What would be published (from a clean tree, or `just packages --allow-dirty`)
packages *ARGS:
    .ci/packages {{ARGS}}

# What decides: routes, verdicts, scenarios, zones, lint
decisions := "--file src/route.rs --file 'src/route/**' --file src/verdict.rs --file 'src/verdict/**' --file src/scenario.rs --file 'src/scenario/**' --file src/zone.rs --file 'src/zone/**' --file src/lint.rs --file 'src/lint/**'"

# Whether the quick tests notice a change: all that decides, or `just mutants --file src/route.rs`
mutants *ARGS=decisions:
    cargo mutants {{ARGS}}

# One part of all that decides: `just shard 3/24`
shard PART:
    cargo mutants {{decisions}} --sharding round-robin --shard {{PART}}

# The small senders in private networks, judged and recorded anew (Linux, Python 3.11)
senders:
    cargo build --locked --release
    python3 tests/senders/run.py target/release/mxdrill --record
