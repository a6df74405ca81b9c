"""Addresses of this room's pages."""

from django.urls import path

from billing import statisticsviews, views

urlpatterns = [
    path("clients/<uuid:pk>/agreement", views.client_agreement, name="client_agreement"),
    path("clients/<uuid:pk>/synchronize", views.synchronize_client, name="synchronize"),
    path("clients/<uuid:pk>/report", statisticsviews.client_report, name="client_report"),
    path("clients/<uuid:pk>/report/update", statisticsviews.update_report, name="update_report"),
    path("clients/<uuid:pk>/report/approve", statisticsviews.approve_report, name="approve_report"),
    path("connections/<uuid:pk>/report-setup", statisticsviews.verify_setup, name="verify_report_setup"),
    path("status", views.status, name="status"),
]
