#!/bin/sh
echo "Content-type: text/plain"
echo "X-Why403-Script: 1"
echo
