"""Every door's address."""

from allauth.account import views as people
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from portal import configviews, pages, peopleviews, views
from portal import signinviews as doors

ACCOUNT = "portal/account"

# What we use of django-allauth, with our pages; all of it is closed while somebody is impersonated.
sign_in: list[URLPattern] = [
    path("login/", doors.LoginView.as_view(), name="account_login"),
    path("login/passkey/", doors.PasskeyLoginView.as_view(), name="mfa_login_webauthn"),
    path("login/factor/", doors.AuthenticateView.as_view(), name="mfa_authenticate"),
    path("logout/", people.LogoutView.as_view(template_name=f"{ACCOUNT}/logout.html"), name="account_logout"),
    path("signup/", views.signup_closed, name="account_signup"),
    path(
        "inactive/",
        people.AccountInactiveView.as_view(template_name=f"{ACCOUNT}/inactive.html"),
        name="account_inactive",
    ),
    path("confirm/", doors.ConfirmPasswordView.as_view(), name="account_reauthenticate"),
    path("confirm/code/", doors.ConfirmCodeView.as_view(), name="mfa_reauthenticate"),
    path("confirm/passkey/", doors.ConfirmPasskeyView.as_view(), name="mfa_reauthenticate_webauthn"),
    path("password/change/", pages.page(doors.PasswordChangeView.as_view()), name="account_change_password"),
    path(
        "password/set/",
        people.PasswordSetView.as_view(template_name=f"{ACCOUNT}/password_change.html", success_url="/"),
        name="account_set_password",
    ),
    path("password/reset/", doors.PasswordResetView.as_view(), name="account_reset_password"),
    path(
        "password/reset/done/",
        people.PasswordResetDoneView.as_view(template_name=f"{ACCOUNT}/password_reset_done.html"),
        name="account_reset_password_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        doors.PasswordResetFromKeyView.as_view(),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        people.PasswordResetFromKeyDoneView.as_view(
            template_name=f"{ACCOUNT}/password_reset_from_key_done.html"
        ),
        name="account_reset_password_from_key_done",
    ),
    path("security/", doors.security, name="mfa_index"),
    path("security/app/add/", pages.page(doors.ActivateView.as_view()), name="mfa_activate_totp"),
    path("security/app/remove/", pages.page(doors.DeactivateView.as_view()), name="mfa_deactivate_totp"),
    path("security/passkeys/add/", pages.page(doors.PasskeyAddView.as_view()), name="mfa_add_webauthn"),
    path(
        "security/passkeys/<int:pk>/",
        pages.page(doors.PasskeyEditView.as_view()),
        name="mfa_edit_webauthn",
    ),
    path(
        "security/passkeys/<int:pk>/remove/",
        pages.page(doors.PasskeyRemoveView.as_view()),
        name="mfa_remove_webauthn",
    ),
    path("security/codes/", pages.page(doors.CodesView.as_view()), name="mfa_view_recovery_codes"),
    path(
        "security/codes/new/",
        pages.page(doors.CodesNewView.as_view()),
        name="mfa_generate_recovery_codes",
    ),
    path("sign-ins/", doors.sign_ins, name="sign_ins"),
    path("sign-ins/end-others/", doors.sign_ins_end_others, name="sign_ins_end_others"),
    path("sign-ins/<uuid:pk>/end/", doors.sign_in_end, name="sign_in_end"),
]

api: list[URLPattern | URLResolver] = [
    path("v1/", include("alerts.api_urls")),
    path("v1/", include("integrations.api_urls")),
    path("v1/", include("billing.api_urls")),
    path("v1/", include("portal.api_urls")),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
    path("docs/errors", TemplateView.as_view(template_name="portal/api_errors.html"), name="api_errors"),
]

urlpatterns = [
    path("favicon.ico", views.favicon, name="favicon"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include(sign_in)),
    path("api/", include(api)),
    path("partners", views.partners, name="partners"),
    path("partners/pick", views.pick_partner, name="pick_partner"),
    path("clients", views.clients, name="clients"),
    path("clients/<uuid:pk>", views.client, name="client"),
    path("accounts-list", peopleviews.accounts, name="accounts"),
    path("partners/<uuid:pk>/impersonate", peopleviews.impersonate, name="impersonate"),
    path("impersonation/stop", peopleviews.stop_impersonating, name="stop_impersonating"),
    path("partnership/team", peopleviews.people, name="team"),
    path("partnership/team/invite", peopleviews.person_new, name="person_new"),
    path("partnership/team/<uuid:pk>", peopleviews.person_change, name="person_change"),
    path("partnership/team/policy", peopleviews.second_factor_policy, name="second_factor_policy"),
    path(
        "partnership/team/<uuid:pk>/second-factor",
        peopleviews.person_reset_factor,
        name="person_reset_factor",
    ),
    path("partnership/team/<uuid:pk>/sign-out", peopleviews.person_sign_out, name="person_sign_out"),
    path("partnership/tokens", peopleviews.token_new, name="token_new"),
    path("partnership/tokens/<uuid:pk>/revoke", peopleviews.token_revoke, name="token_revoke"),
    path("partnership/configuration", configviews.show, name="configuration"),
    path("partnership/configuration/export", configviews.export, name="configuration_export"),
    path("partnership/configuration/apply", configviews.apply, name="configuration_apply"),
    path("partnership/configuration/look", configviews.look, name="configuration_look"),
    path("partnership/audit", peopleviews.audit_log, name="audit_log"),
    path("", include("integrations.urls")),
    path("", include("billing.urls")),
    path("", include("alerts.urls")),
]

handler400 = "portal.views.bad_request"
handler403 = "portal.views.forbidden"
handler404 = "portal.views.not_found"
handler500 = "portal.views.broken"
