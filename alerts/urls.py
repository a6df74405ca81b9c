"""Addresses of this room's pages."""

from django.urls import path

from alerts import typeviews, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("tickets", views.tickets, name="tickets"),
    path("conditions", views.conditions, name="conditions"),
    path("event-types", typeviews.event_types, name="event_types"),
    path("event-types/keys", typeviews.key_shapes, name="key_shapes"),
    path("partnership/notifications", views.notifications, name="notifications"),
    path("partnership/notifications/new", views.notification_new, name="notification_new"),
    path("partnership/notifications/preset", views.notification_preset, name="notification_preset"),
    path("partnership/notifications/<uuid:pk>", views.notification, name="notification"),
    path("partnership/notifications/<uuid:pk>/copy", views.notification_copy, name="notification_copy"),
    path("partnership/notifications/<uuid:pk>/switch", views.notification_switch, name="notification_switch"),
    path("partnership/notifications/<uuid:pk>/delete", views.notification_delete, name="notification_delete"),
    path("partnership/setup", views.setup, name="setup"),
    path("partnership/setup/<uuid:pk>", views.setup_of, name="setup_of"),
    path("clients/<uuid:pk>/settings", views.client_settings, name="client_settings"),
    path("clients/<uuid:pk>/settings/reset", views.client_settings_reset, name="client_settings_reset"),
    path("clients/<uuid:pk>/activity", views.client_activity, name="client_activity"),
]
