# The page and the API of `asli serve`. Build: docker build -t asli .   Run: docker run -p 127.0.0.1:8000:8000 asli
FROM python:3.12-slim
WORKDIR /asli
COPY pyproject.toml README.md LICENSE ./
COPY src src
# The CPU build of torch is a tenth of the size of the one for GPUs.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu torch torchvision \
    && pip install --no-cache-dir '.[serve,onnx,provenance]' \
    && useradd --create-home asli
# A read-only root has no home to write to; matplotlib keeps a cache of fonts.
ENV MPLCONFIGDIR=/tmp/matplotlib
USER asli
EXPOSE 8000
# The container's own health check; python is there, curl is not.
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
ENTRYPOINT ["asli"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
