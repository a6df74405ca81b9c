"""REST addresses of this room."""

from django.urls import path

from alerts import api, dialectapi

urlpatterns = [
    path("events", api.Events.as_view(), name="api-events"),
    path("events/<uuid:pk>", api.OneEvent.as_view(), name="api-event"),
    path("compat/pagerduty/v2/enqueue", dialectapi.PagerDuty.as_view(), name="api-compat-pagerduty"),
    path("compat/alertmanager", dialectapi.Alertmanager.as_view(), name="api-compat-alertmanager"),
]
