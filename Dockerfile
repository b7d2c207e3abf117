# A static binary alone in an image: no shell, no package manager, not root.
#
#   docker build --build-arg VERSION=$(git describe --tags --always) -t rapport .
#   docker run -p 127.0.0.1:8080:8080 -v rapport:/data \
#     -e RAPPORT_KEYS_WRITE=... -e RAPPORT_KEYS_READ=... -e RAPPORT_KEYS_ADMIN=... rapport

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY bench bench
COPY cmd cmd
COPY engine engine
COPY recommender recommender
COPY rules rules
COPY streams streams
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/rapport ./cmd/rapport
RUN mkdir /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/rapport /rapport
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE /LICENSE
USER 65532:65532
WORKDIR /
# Beyond loopback the server insists on keys: set RAPPORT_KEYS_WRITE, _READ and _ADMIN.
ENV RAPPORT_LISTEN=0.0.0.0:8080 RAPPORT_ADMIN=0.0.0.0:8081 RAPPORT_DATA=/data RAPPORT_RULES=/rules
VOLUME /data
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/rapport"]
CMD ["serve"]
