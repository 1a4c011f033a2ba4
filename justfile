# `just check` is exactly what CI does.

default:
    @just --list

# Everything CI does, in its order
check:
    .ci/run

# All tests; those that need a container engine say so where none answers
test *ARGS:
    cargo test --locked {{ARGS}}

# What CI complains about
lint:
    .ci/run format scripts lint dependencies

# Format the code
fmt:
    cargo fmt

# One pass over the shipped configuration: finds the demo service dead and starts it
demo:
    cargo run --locked --quiet

# The documentation of the code
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Measures what docs/performance.md tells; `just bench --write` puts the figures there
bench *ARGS:
    bench/run {{ARGS}}
