# syntax=docker/dockerfile:1

# The images of both programs, one target each, by: make docker. The same images as make images makes without Docker; hack/release compares them.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION COMMIT DATE
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" -o /out/ . ./receiver

FROM scratch AS receiver
ARG VERSION COMMIT DATE
LABEL org.opencontainers.image.title=receiver \
      org.opencontainers.image.source=https://github.com/hookbay/hookbay \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.created=$DATE \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /out/receiver /receiver
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/receiver"]

# The last one is what docker build makes without --target.
FROM scratch AS manager
ARG VERSION COMMIT DATE
LABEL org.opencontainers.image.title=hookbay \
      org.opencontainers.image.source=https://github.com/hookbay/hookbay \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT \
      org.opencontainers.image.created=$DATE \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /out/hookbay /hookbay
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/hookbay"]
