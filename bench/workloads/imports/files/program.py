"""Imports much, does little."""

import argparse
import asyncio
import concurrent.futures
import ctypes
import decimal
import email.message
import http.client
import json
import logging.handlers
import sqlite3
import subprocess
import sys
import unittest.mock
import urllib.request
import xml.etree.ElementTree

MODULES = (
    argparse,
    asyncio,
    concurrent.futures,
    ctypes,
    decimal,
    email.message,
    http.client,
    json,
    logging.handlers,
    sqlite3,
    subprocess,
    unittest.mock,
    urllib.request,
    xml.etree.ElementTree,
)
print(sys.argv[1], decimal.Decimal(sys.argv[1]).sqrt(), len(MODULES))
