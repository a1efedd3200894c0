# syntax=docker/dockerfile:1
# The agent's image: exactly the files that scripts/image-tree names, on nothing. For amd64 and arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example/netgraft:0.1.0 --push .
# JavaScript is bundled once, on the builder's own architecture; what is compiled is compiled on each.
ARG NODE_VERSION=24
ARG DEBIAN=bookworm

FROM --platform=$BUILDPLATFORM node:${NODE_VERSION}-${DEBIAN}-slim AS bundle
WORKDIR /src
COPY package.json package-lock.json ./
# The addon is not for this architecture: see below.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/bundle.ts && chmod +x dist/netgraft.js

FROM node:${NODE_VERSION}-${DEBIAN}-slim AS tree
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc libc6-dev linux-libc-dev musl-tools nftables util-linux
WORKDIR /src
COPY --from=bundle /src ./
ARG SOURCE_DATE_EPOCH
RUN rm -rf build && scripts/build-native && scripts/build-shim && scripts/image-tree /image

FROM scratch
ARG NODE_VERSION
ARG DEBIAN
LABEL org.opencontainers.image.title="netgraft" \
  org.opencontainers.image.description="One agent per Kubernetes node: pod routes, further networks, pairs of pods" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.base.name="node:${NODE_VERSION}-${DEBIAN}-slim"
COPY --from=tree /image/ /
# Plugins of the host are found by themselves; what they call is looked for here.
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /
ENTRYPOINT ["/usr/bin/netgraft"]
