# An image whose command is netlab: docker build -t netlab-lab .   (or buildah bud -t netlab-lab .)
#   docker run --rm --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYSLOG \
#       --security-opt apparmor=unconfined --device /dev/net/tun netlab-lab run --all
# docs/containers.md says what each flag is for.
ARG BASE=debian:12-slim
FROM ${BASE}
COPY . /src
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        python3-venv libnftables1 nftables iproute2 iputils-ping busybox curl bind9-dnsutils \
    && python3 -m venv /opt/netlab \
    && /opt/netlab/bin/pip install --no-cache-dir --disable-pip-version-check /src \
    && ln -s /opt/netlab/bin/netlab /opt/netlab/bin/netlab-lab /usr/local/bin/ \
    && ln -s /opt/netlab/share/netlab-lab /usr/local/share/ \
    && rm -rf /src /var/lib/apt/lists/*
ENTRYPOINT ["netlab"]
CMD ["doctor"]
