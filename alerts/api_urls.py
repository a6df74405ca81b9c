"""REST addresses of this room."""

from django.urls import path

from alerts import api

urlpatterns = [
    path("events", api.Events.as_view(), name="api-events"),
    path("events/<uuid:pk>", api.OneEvent.as_view(), name="api-event"),
]
