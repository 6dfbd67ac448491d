#define PY_SSIZE_T_CLEAN
#include <Python.h>

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "acme_c_extension", NULL, -1, NULL};

PyMODINIT_FUNC PyInit_acme_c_extension(void)
{
    PyObject *self = PyModule_Create(&module);
    if (self && PyModule_AddStringConstant(self, "VALUE", "c_extension") < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return self;
}
