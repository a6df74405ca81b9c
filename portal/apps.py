"""The portal room: who are you, whose client is this, what may you see, which value applies here."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    verbose_name = "Portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from allauth.account import signals as account
        from allauth.mfa import signals as mfa
        from django.contrib.auth.signals import user_logged_in, user_logged_out
        from django_q.signals import post_execute_in_worker, pre_execute

        from portal import heartbeat, openapi, secondfactor, sessions, stepup  # noqa: F401 - openapi registers itself

        pre_execute.connect(heartbeat.job_begins, dispatch_uid="job_begins")
        post_execute_in_worker.connect(heartbeat.job_ends, dispatch_uid="job_ends")
        user_logged_in.connect(sessions.begin, dispatch_uid="sign_in_begins")
        user_logged_in.connect(stepup.confirmed, dispatch_uid="sign_in_confirms")
        user_logged_in.connect(secondfactor.note_sign_in, dispatch_uid="sign_in_has_factor")
        user_logged_out.connect(sessions.ended, dispatch_uid="sign_in_ends")
        for change in (account.password_changed, account.password_set, account.password_reset):
            change.connect(sessions.end_others, dispatch_uid="password_ends_sign_ins")
        account.authentication_step_completed.connect(stepup.note_reauthentication, dispatch_uid="confirmed")
        mfa.authenticator_added.connect(secondfactor.added, dispatch_uid="factor_added")
        mfa.authenticator_removed.connect(secondfactor.removed, dispatch_uid="factor_removed")
        mfa.authenticator_reset.connect(secondfactor.renewed, dispatch_uid="factor_renewed")
