/* pcache/linux/looks.py in C.
 *
 * Paths are bytes without NUL, as those of keys are.  The interpreter lock is kept: a stat(2) takes
 * less than giving it up.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

struct identity {
    uint64_t mode, device, inode;
    int64_t size, modified, modified_ns, changed, changed_ns;
};

/* The path of a key, NULL with an exception set if it is none. */
static PyObject *path_of(PyObject *key) {
    if (PyTuple_Check(key) && PyTuple_GET_SIZE(key) == 2 &&
        PyBytes_Check(PyTuple_GET_ITEM(key, 0)) && PyBytes_Check(PyTuple_GET_ITEM(key, 1)))
        return PyTuple_GET_ITEM(key, 1);
    PyErr_SetString(PyExc_TypeError, "not a key");
    return NULL;
}

static int is_of(PyObject *key, char kind) {
    PyObject *name = PyTuple_GET_ITEM(key, 0);
    return PyBytes_GET_SIZE(name) == 1 && PyBytes_AS_STRING(name)[0] == kind;
}

/* 0, or the error. */
static int identify(const char *path, int follow, struct identity *into) {
    struct stat st;
    memset(into, 0, sizeof *into);
    if (follow ? stat(path, &st) : lstat(path, &st))
        return errno;
    into->mode = st.st_mode;
    into->device = st.st_dev;
    into->inode = st.st_ino;
    into->size = st.st_size;
    into->modified = st.st_mtim.tv_sec;
    into->modified_ns = st.st_mtim.tv_nsec;
    into->changed = st.st_ctim.tv_sec;
    into->changed_ns = st.st_ctim.tv_nsec;
    return 0;
}

static PyObject *look(PyObject *module, PyObject *args) {
    PyObject *keys, *remembered, *absent, *known, *identities;
    char kind;
    int follow;
    long found = 0;
    if (!PyArg_ParseTuple(args, "OcpO!OO!O!", &keys, &kind, &follow, &PyDict_Type, &remembered,
                          &absent, &PyDict_Type, &known, &PyDict_Type, &identities))
        return NULL;
    keys = PySequence_Fast(keys, "keys are a sequence");
    if (!keys)
        return NULL;
    for (Py_ssize_t at = 0; at < PySequence_Fast_GET_SIZE(keys); at++) {
        PyObject *key = PySequence_Fast_GET_ITEM(keys, at), *path = path_of(key), *name, *value;
        struct identity identity;
        int error;
        if (!path)
            goto failed;
        if (!is_of(key, kind))
            continue;
        if (PyDict_GetItemWithError(known, key))
            continue;
        if (PyErr_Occurred())
            goto failed;
        error = identify(PyBytes_AS_STRING(path), follow, &identity);
        if (error) {
            if (error == ENOENT && PyDict_SetItem(known, key, absent))
                goto failed;
            continue;
        }
        name = PyBytes_FromStringAndSize((const char *)&identity, sizeof identity);
        if (!name || PyDict_SetItem(identities, path, name)) {
            Py_XDECREF(name);
            goto failed;
        }
        value = PyDict_GetItemWithError(remembered, name);
        Py_DECREF(name);
        if (value) {
            if (PyDict_SetItem(known, key, value))
                goto failed;
            found++;
        } else if (PyErr_Occurred())
            goto failed;
    }
    Py_DECREF(keys);
    return PyLong_FromLong(found);
failed:
    Py_DECREF(keys);
    return NULL;
}

static PyObject *states(PyObject *module, PyObject *args) {
    PyObject *keys, *result = NULL;
    char kind;
    int follow;
    Py_ssize_t count = 0, size;
    struct identity *into;
    if (!PyArg_ParseTuple(args, "Ocp", &keys, &kind, &follow))
        return NULL;
    keys = PySequence_Fast(keys, "keys are a sequence");
    if (!keys)
        return NULL;
    size = PySequence_Fast_GET_SIZE(keys);
    for (Py_ssize_t at = 0; at < size; at++) {
        if (!path_of(PySequence_Fast_GET_ITEM(keys, at)))
            goto end;
        count += is_of(PySequence_Fast_GET_ITEM(keys, at), kind);
    }
    result = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof *into);
    if (!result)
        goto end;
    into = (struct identity *)PyBytes_AS_STRING(result);
    for (Py_ssize_t at = 0; at < size; at++) {
        PyObject *key = PySequence_Fast_GET_ITEM(keys, at);
        if (is_of(key, kind)) {
            struct identity identity;
            int error = identify(PyBytes_AS_STRING(PyTuple_GET_ITEM(key, 1)), follow, &identity);
            if (error)
                identity.inode = error;
            memcpy(into++, &identity, sizeof identity);
        }
    }
end:
    Py_DECREF(keys);
    return result;
}

static PyMethodDef methods[] = {
    {"look", look, METH_VARARGS, NULL},
    {"states", states, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "pcache.linux._looks", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__looks(void) { return PyModule_Create(&definition); }
