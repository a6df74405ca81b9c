"""Addresses of this room's pages."""

from django.urls import path

from integrations import hooks, views

urlpatterns = [
    path("partnership/credentials", views.credentials, name="credentials"),
    path("partnership/credentials/<str:level>/<uuid:pk>", views.credentials_of, name="credentials_of"),
    path("connections/<uuid:pk>/test", views.test_it, name="test_it"),
    path("connections/<uuid:pk>/test/progress", views.test_progress, name="test_progress"),
    path("connections/<uuid:pk>/reload", views.reload_options, name="reload_options"),
    path("connections/<uuid:pk>/following", views.change_following, name="change_following"),
    path("hooks/<str:token>/", hooks.hook, name="hook"),
    path("hooks/<str:token>/off/", hooks.hook_off, name="hook_off"),
    path("clients/<uuid:pk>/mapping", views.client_mapping, name="client_mapping"),
    path("events", views.event_log, name="event_log"),
    path("events/parked", views.parked_events, name="parked_events"),
    path("events/reprocess", views.reprocess_selected, name="reprocess_selected"),
    path("events/<uuid:pk>", views.event, name="event"),
    path("deliveries/<uuid:pk>/reprocess", views.reprocess, name="reprocess"),
]
