"""REST addresses of this room."""

from django.urls import path

from billing import (
    api,
    batchapi,
    monthapi,
    pushapi,
    setupapi,
    statisticsapi,
    syncapi,
)

urlpatterns = [
    path("usage", api.UsageDoor.as_view(), name="api-usage"),
    path("statistics", statisticsapi.StatisticsDoor.as_view(), name="api-statistics"),
    path("clients/<uuid:pk>/report", statisticsapi.ReportDoor.as_view(), name="api-client-report"),
    path("usage/import", setupapi.UsageImport.as_view(), name="api-usage-import"),
    path("agreement-links", batchapi.AgreementLinks.as_view(), name="api-agreement-links"),
    path("cross-references", batchapi.CrossReferencesDoor.as_view(), name="api-cross-references"),
    path("billing-settings", batchapi.BillingSettingsDoor.as_view(), name="api-billing-settings"),
    path("clients/<uuid:pk>/synchronize", syncapi.Synchronize.as_view(), name="api-client-synchronize"),
    path("services", syncapi.Services.as_view(), name="api-services"),
    path("clients/<uuid:pk>/billing/preview", pushapi.Preview.as_view(), name="api-billing-preview"),
    path("clients/<uuid:pk>/billing/push", pushapi.Push.as_view(), name="api-billing-push"),
    path("push-runs", pushapi.Runs.as_view(), name="api-push-runs"),
    path("push-runs/<uuid:pk>", pushapi.OneRun.as_view(), name="api-push-run"),
    path("push-runs/<uuid:pk>/approve", pushapi.Approve.as_view(), name="api-push-run-approve"),
    path("push-runs/<uuid:pk>/reject", pushapi.Reject.as_view(), name="api-push-run-reject"),
    path("push-runs/<uuid:pk>/undo", pushapi.Undo.as_view(), name="api-push-run-undo"),
    path("reconciliation", monthapi.ReconciliationDoor.as_view(), name="api-reconciliation"),
    path("billing-questions", pushapi.Questions.as_view(), name="api-billing-questions"),
    path("billing-questions/<uuid:pk>/answer", pushapi.AnswerOne.as_view(), name="api-billing-answer"),
]
