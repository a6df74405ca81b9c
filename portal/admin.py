"""Admin of this room: partners, people and tokens; and of the libraries whose tables we keep."""

from __future__ import annotations

from typing import Any

import allauth.account.admin  # registers its models, so that we can take them over below
import allauth.mfa.admin
import django_q.admin
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.forms import AdminPasswordChangeForm, UserChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from portal import clock, sessions, tokens
from portal.models import (
    Account,
    Allowance,
    ApiToken,
    AuditChain,
    AuditEntry,
    Client,
    ConfigState,
    Disabling,
    Heartbeat,
    IdempotentRequest,
    Membership,
    Organization,
    Partner,
    SignIn,
    StepRemark,
    Tries,
    User,
)
from portal.models.keys import KeyCheck
from portal.tenantadmin import PortalAdmin, ReadOnlyAdmin, TenantAdmin, TenantInline, TenantLogAdmin

LIBRARIES = (allauth.account.admin, allauth.mfa.admin, django_q.admin)

# Staff sign in where everybody does, with the same limits against guessing.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


# --- Partners --------------------------------------------------------------------------------------------------------


def counted(rows: Any) -> Coalesce:
    """How many of these rows each partner of a list has, within the list's own query."""
    mine = rows.filter(partner=OuterRef("pk")).order_by().values("partner")
    return Coalesce(Subquery(mine.annotate(count=Count("pk")).values("count")), 0)


class MembershipInline(TenantInline):
    model = Membership
    autocomplete_fields = ("user",)


@admin.register(Partner)
class PartnerAdmin(PortalAdmin):
    list_display = ("name", "slug", "active_clients", "people", "time_zone", "is_active", "created_at")
    list_filter = ("is_active",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super()
            .get_queryset(request)
            .annotate(
                client_count=counted(Client.objects.filter(is_active=True)),
                people_count=counted(Membership.objects),
            )
        )

    @admin.display(description="clients", ordering="client_count")
    def active_clients(self, row: Any) -> int:
        return int(row.client_count)

    @admin.display(description="people", ordering="people_count")
    def people(self, row: Any) -> int:
        return int(row.people_count)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A partner is switched off, never deleted: its log must stay."""
        return False


@admin.register(Organization)
class OrganizationAdmin(TenantAdmin):
    list_display = ("name", "parent", "tickets_mode", "billing_mode", "statistics_mode")
    search_fields = ("name",)


@admin.register(Client)
class ClientAdmin(TenantAdmin):
    list_display = ("name", "number", "managed_id", "organization", "is_active")
    list_filter = ("is_active", "tickets_mode", "billing_mode")
    search_fields = ("name", "=number")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A client is switched off, never deleted."""
        return False


@admin.register(Account)
class AccountAdmin(TenantAdmin):
    list_display = ("key", "name", "client", "created_at")
    search_fields = ("key", "name", "client__name")


@admin.register(Membership)
class MembershipAdmin(TenantAdmin):
    list_display = ("user", "role")
    list_filter = ("role",)
    search_fields = ("user__email",)


# --- People and machines ----------------------------------------------------------------------------------------------


class NewUserForm(BaseUserCreationForm):
    """A person is made by e-mail address."""

    password1 = forms.CharField(label="Password", widget=UnfoldAdminPasswordWidget)
    password2 = forms.CharField(label="Password once more", widget=UnfoldAdminPasswordWidget)

    class Meta:
        model = User
        fields = ("email",)
        field_classes: dict[str, Any] = {}
        widgets = {"email": UnfoldAdminTextInputWidget}


RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
"""Who may give these away has them all, so superusers alone do."""


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def is_above(request: HttpRequest, person: User | None) -> bool:
    """Whether a person has rights that whoever asks may not hand out."""
    return person is not None and not is_superuser(request) and (person.is_staff or person.is_superuser)


class UserMembershipInline(TenantInline):
    model = Membership
    autocomplete_fields = ("partner",)


@admin.register(User)
class PersonAdmin(PortalAdmin, UserAdmin):
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "first_name", "last_name")
    ordering = ("email",)
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")
    inlines = (UserMembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, *(() if is_superuser(request) else RIGHTS))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff are changed by superusers: a new password for a colleague would be their rights."""
        return not is_above(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not is_above(request, obj) and super().has_delete_permission(request, obj)


@admin.register(SignIn)
class SignInAdmin(ReadOnlyAdmin):
    """Where people are and were signed in."""

    list_display = ("user", "browser", "address", "began_at", "seen_at", "ended_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "address")
    fields = ("user", "browser", "address", "began_at", "seen_at", "ended_at")
    actions = ("end",)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("portal.change_signin"))

    @admin.action(description="Sign out", permissions=["end"])
    def end(self, request: HttpRequest, queryset: Any) -> None:
        count = sessions.end(SignIn.objects.filter(pk__in=[row.pk for row in queryset]))
        self.message_user(request, f"{count} browser{'' if count == 1 else 's'} signed out.")


@admin.register(Tries)
class TriesAdmin(ReadOnlyAdmin):
    """Who tried too often; nothing is looked at before “closed until”. Lifting opens the door at once."""

    list_display = ("kind", "subject", "count", "tried_at", "closed_until")
    list_filter = ("kind",)
    search_fields = ("subject",)
    actions = ("lift",)

    def has_lift_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("portal.delete_tries"))

    @admin.action(description="Lift", permissions=["lift"])
    def lift(self, request: HttpRequest, queryset: Any) -> None:
        count, _ = queryset.delete()
        self.message_user(request, f"{count} lifted.")


class NewTokenForm(forms.ModelForm):
    """What a token may do. Its text is made when it is saved."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in tokens.SCOPES], widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = ApiToken
        fields = ("name", "partner", "scopes", "expires_at", "requests_a_minute")


@admin.register(ApiToken)
class ApiTokenAdmin(PortalAdmin):
    list_display = ("name", "prefix", "partner", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("partner",)
    search_fields = ("name", "prefix", "partner__name")
    fields = (
        "name",
        "partner",
        "prefix",
        "scopes",
        "created_at",
        "created_by",
        "expires_at",
        "requests_a_minute",
        "last_used_at",
        "revoked_at",
    )
    actions = ("revoke",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if obj else {"form": NewTokenForm}), **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fields if obj else NewTokenForm.Meta.fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A token is never changed: revoke it and make another."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("portal.change_apitoken"))

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """The text is shown this once and stored nowhere."""
        made, text = tokens.issue_token(
            obj.name,
            partner=obj.partner,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
            by=request.user,  # type: ignore[arg-type]
        )
        obj.pk, obj._state.adding = made.pk, False
        obj.prefix = made.prefix
        messages.warning(request, f"Copy the token now, it is never shown again: {text}")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=clock.now())
        self.message_user(request, f"{count} tokens are revoked." if count != 1 else "1 token is revoked.")


# --- The machinery ---------------------------------------------------------------------------------------------------


@admin.register(Disabling)
class DisablingAdmin(TenantLogAdmin):
    """Switched in the portal, which holds and releases what waits."""

    list_display = ("client", "began_at", "began_by", "until", "reason", "ended_at", "ended_by")
    search_fields = ("client__name", "reason", "began_by")


@admin.register(ConfigState)
class ConfigStateAdmin(TenantLogAdmin):
    """Which document a partner applied last, and what drifted from it."""

    list_display = ("partner", "applied_at", "applied_by", "looked_at")
    search_fields = ("partner__name", "applied_by")


@admin.register(StepRemark)
class StepRemarkAdmin(TenantLogAdmin):
    """Steps of a guide that did not match somebody's PSA: answer the person, correct the guide."""

    list_display = ("said_at", "partner", "place", "step", "text", "said_by")
    search_fields = ("partner__name", "place", "step", "text", "said_by")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "beat_at")


@admin.register(KeyCheck)
class KeyCheckAdmin(ReadOnlyAdmin):
    """That there is one; what it holds is for the start-up check alone."""

    fields = ("id",)
    search_fields = ("=id",)


for model in (Success, Failure, Schedule, OrmQ, EmailAddress, Authenticator, Group):
    admin.site.unregister(model)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Who has which second factor; what it holds is shown nowhere. Taken away in Team & Tokens, with a reason."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__email",)
    fields = ("user", "type", "created_at", "last_used_at")


@admin.register(Group)
class PortalGroupAdmin(PortalAdmin, GroupAdmin):
    """What the members of a group may do is changed by superusers."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)


class TaskAdmin(ReadOnlyAdmin):
    """What the worker did. To do it again, use the button of the page it is about."""

    list_display = ("name", "func", "started", "stopped", "success")
    search_fields = ("name", "func")
    fields: tuple[str, ...] = ("name", "func", "started", "stopped", "success", "attempt_count")


admin.site.register(Success, type("SuccessAdmin", (TaskAdmin,), {}))


@admin.register(Failure)
class FailureAdmin(TaskAdmin):
    fields = (*TaskAdmin.fields, "why")

    @admin.display(description="Why")
    def why(self, task: Any) -> str:
        return str(task.result)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    list_display = ("name", "func", "schedule_type", "cron", "next_run")
    fields = ("name", "func", "schedule_type", "cron", "minutes", "next_run")


@admin.register(OrmQ)
class QueueAdmin(ReadOnlyAdmin):
    list_display = ("key", "lock")
    fields = ("key", "lock")


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin):
    """Writes that came with an Idempotency-Key within the last day; their answers are not shown."""

    list_display = ("key", "token", "begun_at", "status")
    list_select_related = ("token",)
    search_fields = ("key", "token__name")
    fields = ("key", "token", "begun_at", "status", "content_type")


@admin.register(Allowance)
class AllowanceAdmin(ReadOnlyAdmin):
    """How many requests tokens sent in this minute and the last."""

    list_display = ("token", "minute", "taken", "most")
    list_select_related = ("token",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed what. Nobody edits it, not even here: the database refuses."""

    list_display = ("at", "actor", "on_behalf_of", "action", "target")
    search_fields = ("actor", "on_behalf_of", "action", "target")
    ordering = ("-id",)


@admin.register(AuditChain)
class AuditChainAdmin(ReadOnlyAdmin):
    """Where each partner's chain of the audit log ends; `manage.py verifyaudit` follows it."""

    list_display = ("partner_id", "number", "moved_at")
