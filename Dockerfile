# Percept on the CPU, with the versions of constraints.txt.
#
#   docker build -t percept .
#   docker run --rm -it --init -v "$PWD:/media" -v percept-cache:/cache percept run talk.mp4 --labels "dog barking, rain"
#
# /media is the working folder: paths of videos and results are relative to it. Results belong to user 1000; add
# --user "$(id -u):$(id -g)" to own them. /cache keeps engines, and models from the hub. The engines of the bundled
# model are part of the image; on a CPU of another kind than the one that built it, the first run builds its own.
# /state is a folder for what `percept watch` keeps: deploy/compose/ has it with a camera and a broker.

FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/percept
ENV PATH="/opt/percept/bin:$PATH"
WORKDIR /src
COPY . .
# The index of CPU wheels: on PyPI, torch for Linux comes with gigabytes of CUDA libraries.
RUN pip install --no-cache-dir -c constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu '.[openvino,parquet]'

FROM python:3.11-slim-bookworm
COPY --from=build /opt/percept /opt/percept
ENV PATH="/opt/percept/bin:$PATH" \
    HOME=/tmp \
    PERCEPT_CACHE=/cache \
    HF_HOME=/cache/huggingface
RUN groupadd --gid 1000 percept \
    && useradd --uid 1000 --gid percept --no-create-home percept \
    && install --directory --owner percept --group percept /cache /media /state
USER 1000:1000
# Any user may use the cache, and build what is missing in it.
RUN percept engine build --quiet && chmod -R a+rwX /cache
VOLUME /cache
WORKDIR /media
ENTRYPOINT ["percept"]
CMD ["--help"]
