"""REST addresses of this room."""

from django.urls import path

from billing import api, statisticsapi

urlpatterns = [
    path("usage", api.UsageDoor.as_view(), name="api-usage"),
    path("statistics", statisticsapi.StatisticsDoor.as_view(), name="api-statistics"),
    path("clients/<uuid:pk>/report", statisticsapi.ReportDoor.as_view(), name="api-client-report"),
]
