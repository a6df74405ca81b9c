"""REST addresses of this room."""

from django.urls import path

from portal import api, auditapi, configapi, orgapi, peopleapi

urlpatterns = [
    path("audit-log", auditapi.AuditLog.as_view(), name="api-audit-log"),
    path("audit-log/verification", auditapi.Verification.as_view(), name="api-audit-log-verification"),
    path("clients", api.Clients.as_view(), name="api-clients"),
    path("accounts", api.Accounts.as_view(), name="api-accounts"),
    path("clients/<uuid:pk>", api.OneClient.as_view(), name="api-client"),
    path("config", configapi.Config.as_view(), name="api-config"),
    path("config/plan", configapi.ConfigPlan.as_view(), name="api-config-plan"),
    path("config/apply", configapi.ConfigApply.as_view(), name="api-config-apply"),
    path("organizations", orgapi.Organizations.as_view(), name="api-organizations"),
    path("organizations/<uuid:pk>", orgapi.OneOrganization.as_view(), name="api-organization"),
    path("partners", orgapi.Partners.as_view(), name="api-partners"),
    path("partners/<uuid:pk>", orgapi.OnePartner.as_view(), name="api-partner"),
    path("team", peopleapi.Team.as_view(), name="api-team"),
    path("team/<uuid:pk>", peopleapi.OneMember.as_view(), name="api-team-member"),
    path("team/<uuid:pk>/sign-out", peopleapi.MemberSignOut.as_view(), name="api-team-sign-out"),
    path("tokens", peopleapi.Tokens.as_view(), name="api-tokens"),
    path("tokens/<uuid:pk>", peopleapi.OneToken.as_view(), name="api-token"),
    path("tokens/<uuid:pk>/revoke", peopleapi.RevokeToken.as_view(), name="api-token-revoke"),
]
