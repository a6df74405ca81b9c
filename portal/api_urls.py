"""REST addresses of this room."""

from django.urls import path

from portal import api

urlpatterns = [
    path("clients", api.Clients.as_view(), name="api-clients"),
    path("clients/<uuid:pk>", api.OneClient.as_view(), name="api-client"),
]
