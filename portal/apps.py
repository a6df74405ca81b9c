"""The portal room: who are you, whose client is this, what may you see, which value applies here."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_q.signals import post_execute_in_worker, pre_execute

        from portal import heartbeat, openapi  # noqa: F401 - registers itself

        pre_execute.connect(heartbeat.job_begins, dispatch_uid="job_begins")
        post_execute_in_worker.connect(heartbeat.job_ends, dispatch_uid="job_ends")
