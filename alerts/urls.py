"""Addresses of this room's pages."""

from django.urls import path

from alerts import settingviews, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("tickets", views.tickets, name="tickets"),
    path("conditions", views.conditions, name="conditions"),
    path("partnership/notifications", views.notifications, name="notifications"),
    path("partnership/notifications/new", views.notification_new, name="notification_new"),
    path("partnership/notifications/preset", views.notification_preset, name="notification_preset"),
    path("partnership/notifications/<uuid:pk>", views.notification, name="notification"),
    path("partnership/notifications/<uuid:pk>/copy", views.notification_copy, name="notification_copy"),
    path("partnership/notifications/<uuid:pk>/switch", views.notification_switch, name="notification_switch"),
    path("partnership/notifications/<uuid:pk>/delete", views.notification_delete, name="notification_delete"),
    path("partnership/setup", views.setup, name="setup"),
    path("partnership/setup/<uuid:pk>", settingviews.setup_of, name="setup_of"),
    path("clients/<uuid:pk>/settings", settingviews.client_settings, name="client_settings"),
    path(
        "clients/<uuid:pk>/settings/reset", settingviews.client_settings_reset, name="client_settings_reset"
    ),
    path("clients/<uuid:pk>/settings/address", settingviews.client_address, name="client_address"),
    path("clients/<uuid:pk>/settings/disable", settingviews.client_disable, name="client_disable"),
    path("clients/<uuid:pk>/settings/enable", settingviews.client_enable, name="client_enable"),
    path("clients/<uuid:pk>/settings/catch-up", settingviews.client_catch_up, name="client_catch_up"),
    path(
        "clients/<uuid:pk>/settings/test-ticket", settingviews.client_test_ticket, name="client_test_ticket"
    ),
    path("clients/accounts/<uuid:pk>/settings", settingviews.account_settings, name="account_settings"),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/in-effect",
        settingviews.in_effect,
        name="settings_in_effect",
    ),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/reset", settingviews.reset, name="settings_reset"
    ),
    path("partnership/ticket-settings/<str:level>/<uuid:pk>/undo", settingviews.undo, name="settings_undo"),
    path(
        "partnership/ticket-settings/<str:level>/<uuid:pk>/preview",
        settingviews.preview,
        name="settings_preview",
    ),
    path("clients/<uuid:pk>/activity", views.client_activity, name="client_activity"),
]
