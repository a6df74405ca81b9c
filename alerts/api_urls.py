"""REST addresses of this room."""

from django.urls import path

from alerts import (
    api,
    dialectapi,
    noiseapi,
    settingapi,
    windowapi,
)

urlpatterns = [
    path("events", api.Events.as_view(), name="api-events"),
    path("events/<uuid:pk>", api.OneEvent.as_view(), name="api-event"),
    path("compat/pagerduty/v2/enqueue", dialectapi.PagerDuty.as_view(), name="api-compat-pagerduty"),
    path("compat/alertmanager", dialectapi.Alertmanager.as_view(), name="api-compat-alertmanager"),
    path("notifications", noiseapi.Notifications.as_view(), name="api-notifications"),
    path("notifications/test", noiseapi.TestRules.as_view(), name="api-notification-test"),
    path("notifications/<uuid:pk>", noiseapi.OneNotification.as_view(), name="api-notification"),
    path("notifications/<uuid:pk>/move", noiseapi.MoveNotification.as_view(), name="api-notification-move"),
    path(
        "notifications/<uuid:pk>/versions",
        noiseapi.NotificationVersions.as_view(),
        name="api-notification-versions",
    ),
    path("drop-filters", noiseapi.DropFilters.as_view(), name="api-drop-filters"),
    path("drop-filters/<uuid:pk>", noiseapi.OneDropFilter.as_view(), name="api-drop-filter"),
    path("maintenance-windows", windowapi.Windows.as_view(), name="api-windows"),
    path("maintenance-windows/<uuid:pk>", windowapi.OneWindow.as_view(), name="api-window"),
    path("maintenance-windows/<uuid:pk>/end", windowapi.EndWindow.as_view(), name="api-window-end"),
    path("maintenance-windows/<uuid:pk>/extend", windowapi.ExtendWindow.as_view(), name="api-window-extend"),
    path("noise-settings", windowapi.Noise.as_view(), name="api-noise-settings"),
    path("held", windowapi.Held.as_view(), name="api-held"),
    path("ticket-settings", settingapi.Levels.as_view(), name="api-ticket-settings"),
    path("ticket-settings/<uuid:pk>", settingapi.OneLevel.as_view(), name="api-ticket-settings-of"),
    path(
        "ticket-settings/<uuid:pk>/history", settingapi.History.as_view(), name="api-ticket-settings-history"
    ),
    path("ticket-settings/<uuid:pk>/undo", settingapi.Undo.as_view(), name="api-ticket-settings-undo"),
    path("clients/<uuid:pk>/disabled", settingapi.Disabled.as_view(), name="api-client-disabled"),
]
