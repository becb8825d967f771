# cfclip on a CPU, as a user without rights. README.md has the commands.
#
# The digest is that of the tag's index for all platforms: what is built on never changes unseen.

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build

# An index with builds of PyTorch for the CPU alone, if there is one: the usual ones bring gigabytes
# of CUDA.
ARG TORCH_INDEX=
# Extras of pyproject.toml: all that commands may need and that comes without a licence of its own.
ARG EXTRAS=batch,c2pa,train,web

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/cfclip
ENV PATH=/opt/cfclip/bin:$PATH

WORKDIR /build
COPY constraints.txt ./
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN grep -E '^torch(vision)?==' constraints.txt > torch.txt \
    && pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r torch.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip install -c constraints.txt ".[$EXTRAS]"


FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

COPY --from=build /opt/cfclip /opt/cfclip
ENV PATH=/opt/cfclip/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["cfclip"]
CMD ["--help"]
