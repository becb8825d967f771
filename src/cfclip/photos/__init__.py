"""Photographs: faces found, cut as FFHQ's pictures were, and put back after the edit."""
