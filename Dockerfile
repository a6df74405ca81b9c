# The product in one image: `manage.py supervise` runs web, dispatcher and worker. Built and run by compose.yaml.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements/base.txt requirements/base.txt
RUN pip install --require-hashes -r requirements/base.txt

COPY manage.py pyproject.toml LICENSE ./
COPY portal portal
COPY integrations integrations
COPY billing billing
COPY alerts alerts
COPY static static

# collectstatic needs no secrets; var/ holds what a process may write.
RUN python manage.py collectstatic --noinput \
 && useradd --system --no-create-home portal \
 && mkdir -p var \
 && chown portal var
USER portal

EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks under a name that ALLOWED_HOSTS takes.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD python -c "\
import os, urllib.request as web; \
name = os.environ.get('ALLOWED_HOSTS', 'localhost').split(',')[0].lstrip('.'); \
port = os.environ.get('PORT', '8000'); \
web.urlopen(web.Request(f'http://127.0.0.1:{port}/healthz', headers={'Host': name}), timeout=4)"

CMD ["python", "manage.py", "supervise"]
