"""Ids as distinct types, so that a contact can't be passed where a tenant is meant."""

from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
ContactId = NewType("ContactId", UUID)
DecisionId = NewType("DecisionId", UUID)
SendId = NewType("SendId", UUID)
EventId = NewType("EventId", UUID)
