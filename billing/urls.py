"""Addresses of this room's pages."""

from django.urls import path

from billing import (
    monthviews,
    pushviews,
    referenceviews,
    setupviews,
    statisticsviews,
    views,
)

urlpatterns = [
    path("clients/<uuid:pk>/agreement", views.client_agreement, name="client_agreement"),
    path("clients/<uuid:pk>/synchronize", views.synchronize_client, name="synchronize"),
    path("clients/<uuid:pk>/report", statisticsviews.client_report, name="client_report"),
    path("clients/<uuid:pk>/report/update", statisticsviews.update_report, name="update_report"),
    path("clients/<uuid:pk>/report/approve", statisticsviews.approve_report, name="approve_report"),
    path("connections/<uuid:pk>/report-setup", statisticsviews.verify_setup, name="verify_report_setup"),
    path("connections/<uuid:pk>/report-setup/tick", statisticsviews.tick_setup, name="tick_report_setup"),
    path("connections/<uuid:pk>/cross-references", referenceviews.psa_references, name="psa_references"),
    path(
        "connections/<uuid:pk>/cross-references/progress",
        referenceviews.psa_references_progress,
        name="psa_references_progress",
    ),
    path("clients/<uuid:pk>/agreement/choose", setupviews.choose_agreement, name="choose_agreement"),
    path("clients/<uuid:pk>/billing/preview", pushviews.client_preview, name="client_preview"),
    path("billing/preview", pushviews.preview, name="billing_preview"),
    path("billing/push", pushviews.push_now, name="billing_push_now"),
    path("billing/approvals", pushviews.approvals, name="approvals"),
    path("billing/approvals/decide", pushviews.decide, name="decide_runs"),
    path("billing/questions/answer", pushviews.answer, name="answer_questions"),
    path("billing/runs", pushviews.runs, name="push_runs"),
    path("billing/runs/<uuid:pk>", pushviews.run, name="push_run"),
    path("billing/runs/<uuid:pk>/undo", pushviews.undo_run, name="undo_run"),
    path("billing/batches/<uuid:pk>/undo", pushviews.undo_batch, name="undo_batch"),
    path("billing/reconciliation", monthviews.reconciliation, name="reconciliation"),
    path(
        "billing/reconciliation/progress", monthviews.reconciliation_progress, name="reconciliation_progress"
    ),
    path("billing/reconciliation/export", monthviews.reconciliation_export, name="reconciliation_export"),
    path("billing/reconciliation/read", monthviews.read_agreements, name="read_agreements"),
    path("billing/reconciliation/calculate", monthviews.calculate_month, name="calculate_month"),
    path("billing/reconciliation/close", monthviews.close_month, name="close_month"),
    path("billing/reconciliation/<uuid:pk>", monthviews.reconciliation_row, name="reconciliation_row"),
    path("clients/<uuid:pk>/evidence", monthviews.client_evidence, name="client_evidence"),
    path("clients/<uuid:pk>/evidence/pdf", monthviews.client_evidence_pdf, name="client_evidence_pdf"),
    path("clients/<uuid:pk>/evidence/share", monthviews.share_evidence, name="share_evidence"),
    path("billing/evidence/links/<uuid:pk>/revoke", monthviews.revoke_evidence, name="revoke_evidence"),
    path("shared/evidence/<str:token>", monthviews.shared_evidence, name="shared_evidence"),
    path("shared/evidence/<str:token>/pdf", monthviews.shared_evidence_pdf, name="shared_evidence_pdf"),
    path("billing/usage", setupviews.usage_page, name="usage"),
    path("partnership/billing", setupviews.billing_overview, name="billing_overview"),
    path("partnership/billing/<str:level>/<uuid:pk>", setupviews.billing_settings, name="billing_settings"),
    path("partnership/cross-references", setupviews.cross_references, name="cross_references"),
    path("partnership/cross-references/sheet", setupviews.export_sheet, name="cross_references_export"),
    path("partnership/cross-references/import", setupviews.import_sheet, name="cross_references_import"),
    path(
        "partnership/cross-references/<str:level>/<uuid:pk>",
        setupviews.cross_references_of,
        name="cross_references_of",
    ),
    path("status", views.status, name="status"),
]
