"""Addresses of this room's pages."""

from django.urls import path

from integrations import views

urlpatterns = [
    path("partnership/credentials", views.credentials, name="credentials"),
    path("partnership/credentials/<str:level>/<uuid:pk>", views.credentials_of, name="credentials_of"),
    path("connections/<uuid:pk>/test", views.test_it, name="test_it"),
    path("connections/<uuid:pk>/test/progress", views.test_progress, name="test_progress"),
    path("connections/<uuid:pk>/work-order", views.work_order, name="work_order"),
    path("connections/<uuid:pk>/work-order.md", views.work_order_text, name="work_order_text"),
    path("connections/<uuid:pk>/reload", views.reload_options, name="reload_options"),
    path("clients/<uuid:pk>/mapping", views.client_mapping, name="client_mapping"),
    path("events", views.event_log, name="event_log"),
    path("events/parked", views.parked_events, name="parked_events"),
    path("events/reprocess", views.reprocess_selected, name="reprocess_selected"),
    path("events/<uuid:pk>", views.event, name="event"),
    path("deliveries/<uuid:pk>/reprocess", views.reprocess, name="reprocess"),
]
