# syntax=docker/dockerfile:1

# The compiler that rust-toolchain.toml pins. Debian, because glibc's allocator serves many threads; its release,
# bookworm, because a static glibc looks up names without further files only from 2.34 on.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
# Static, so that the image needs nothing else. The target is named, even though it is the builder's own, to keep the flag
# away from build scripts and procedural macros.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    target="$(rustc --print host-tuple)" \
    && cargo build --release --locked --bin application-operator --target "$target" \
    && install -D "target/$target/release/application-operator" /out/application-operator

# No shell, no libraries, no certificates: the cluster's authority comes with the pod's service account.
FROM scratch
COPY --from=build /out/application-operator /application-operator
# By number, so that the kubelet can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/application-operator"]
CMD ["run"]
