# The agent's image: exactly the files that scripts/image-tree names, on nothing. For amd64 and arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example/netgraft:0.1.0 --push .
# JavaScript is bundled once, on the builder's own architecture; what is compiled is compiled on each, the other one by
# emulation (QEMU's binfmt handlers, as Docker Desktop has them). The last stage runs nothing.

# Node's version is the one that tests run with. What a tag means may change: pin its digest
# (node:24.21.0-bookworm-slim@sha256:…) where the same image is to be built again.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS bundle
WORKDIR /src
COPY package.json package-lock.json ./
# The addon is not for this architecture: see below.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/bundle.ts && chmod +x dist/netgraft.js

FROM ${NODE_IMAGE} AS tree
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc libc6-dev linux-libc-dev musl-tools nftables util-linux
WORKDIR /src
COPY --from=bundle /src ./
# Seconds since 1970, of all files and of the bill of materials. buildx takes it from the environment.
ARG SOURCE_DATE_EPOCH
RUN rm -rf build && scripts/build-native && scripts/build-shim && scripts/image-tree /image

FROM scratch
ARG VERSION=0.1.0
# The commit that it was built from.
ARG REVISION
LABEL org.opencontainers.image.title="netgraft" \
  org.opencontainers.image.description="One agent per Kubernetes node: pod routes, further networks, pairs of pods" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=tree /image/ /
# Plugins of the host are found by themselves; what they call is looked for here.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /
# Without it a container has no capabilities, and the agent is about nothing else; which ones it has the manifests say.
USER 0:0
# No HEALTHCHECK: the kubelet asks /healthz and /readyz.
ENTRYPOINT ["/usr/bin/netgraft"]
