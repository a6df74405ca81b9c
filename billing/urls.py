"""Addresses of this room's pages."""

from django.urls import path

from billing import views

urlpatterns = [
    path("clients/<uuid:pk>/agreement", views.client_agreement, name="client_agreement"),
    path("clients/<uuid:pk>/synchronize", views.synchronize_client, name="synchronize"),
    path("status", views.status, name="status"),
]
