"""REST addresses of this room."""

from django.urls import path

from alerts import api, settingapi

urlpatterns = [
    path("events", api.Events.as_view(), name="api-events"),
    path("events/<uuid:pk>", api.OneEvent.as_view(), name="api-event"),
    path("ticket-settings", settingapi.Levels.as_view(), name="api-ticket-settings"),
    path("ticket-settings/<uuid:pk>", settingapi.OneLevel.as_view(), name="api-ticket-settings-of"),
    path(
        "ticket-settings/<uuid:pk>/history", settingapi.History.as_view(), name="api-ticket-settings-history"
    ),
    path("ticket-settings/<uuid:pk>/undo", settingapi.Undo.as_view(), name="api-ticket-settings-undo"),
    path("clients/<uuid:pk>/disabled", settingapi.Disabled.as_view(), name="api-client-disabled"),
]
